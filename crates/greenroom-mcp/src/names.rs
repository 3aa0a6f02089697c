//! The names of tools as models see them: `server__tool`.
//!
//! The first `__` of a name ends that of the server, which has none itself. So no tool of one server can have the name
//! of another's.

use greenroom_core::fingerprint::fingerprint;

/// The most characters of a tool's name; what the common providers accept.
const LEN_MAX: usize = 64;
/// The most characters of a server's name.
const SERVER_LEN_MAX: usize = 32;
const BETWEEN: &str = "__";

/// Whether a server may have a name.
pub(crate) fn is_server(name: &str) -> bool {
    (1..=SERVER_LEN_MAX).contains(&name.len())
        && name.bytes().all(is_fit)
        && !name.contains(BETWEEN)
        && !name.starts_with('_')
        && !name.ends_with('_')
}

/// The name of a server's tool. What providers do not take becomes `_`; what is too long is cut, and ends with a
/// hash of all of it.
pub(crate) fn exposed(server: &str, tool: &str) -> String {
    let fit = |c: char| if c.is_ascii() && is_fit(c as u8) { c } else { '_' };
    let name: String = format!("{server}{BETWEEN}").chars().chain(tool.chars().map(fit)).collect();
    if name.len() <= LEN_MAX {
        return name;
    }
    let hash = format!("_{:08x}", fingerprint(tool) as u32);
    format!("{}{hash}", &name[..LEN_MAX - hash.len()])
}

fn is_fit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(server: &str, tool: &str, expect: &str) {
        assert!(is_server(server), "{server}");
        assert_eq!(exposed(server, tool), expect);
    }

    #[test]
    fn a_tool_is_named_after_its_server() {
        check("files", "read", "files__read");
        check("a_b-c", "read.file/x ü", "a_b-c__read_file_x__");
        check("files", "_read", "files___read");
        let long = exposed("files", &"x".repeat(100));
        assert_eq!((long.len(), &long[..10]), (64, "files__xxx"));
        assert_ne!(long, exposed("files", &"x".repeat(101)));
    }

    #[test]
    fn no_tool_can_have_the_name_of_anothers() {
        for bad in ["", "a__b", "a_", "_a", "a b", "ü", &"a".repeat(33)] {
            assert!(!is_server(bad), "{bad:?}");
        }
    }
}
