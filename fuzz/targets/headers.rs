//! Headers: nothing panics, and no wait is longer than the longest that is told apart.

#![no_main]

use std::time::Duration;

use greenroom_core::time::Timestamp;
use greenroom_models::headers;
use libfuzzer_sys::fuzz_target;

const YEAR: Duration = Duration::from_secs(366 * 86_400);

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let values: Vec<_> = text.split('\n').collect();
    // Each name gets a value of its own, whichever names there are.
    let header = |name: &str| {
        let at = name.bytes().map(usize::from).sum::<usize>() % values.len().max(1);
        values.get(at).copied()
    };
    for now in [
        Timestamp::from_millis(0),
        Timestamp::from_millis(1_700_000_000_000),
        headers::date(header),
    ] {
        let wait = headers::retry_after(header, now);
        assert!(wait.is_none_or(|wait| !wait.is_zero() && wait <= YEAR), "{wait:?}");
        let limits = headers::meta(header, now).limits;
        for reset in [limits.requests.reset, limits.tokens.reset].into_iter().flatten() {
            assert!(reset <= YEAR, "{reset:?}");
        }
    }
    let _ = headers::should_retry(header);
});
