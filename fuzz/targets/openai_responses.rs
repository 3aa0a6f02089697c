//! Bodies of this wire.

#![no_main]

use greenroom_fuzz::check;
use greenroom_models::wire::Wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check(Wire::OpenAiResponses, data));
