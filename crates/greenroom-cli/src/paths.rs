//! Where things are kept on this machine. With `console`, `logging` and `config`, the only
//! reader of the environment.

use std::env;
use std::path::PathBuf;

/// The directory of the indexes, unless the user names one: `greenroom` in the data directory of the
/// XDG Base Directory Specification 0.8. `None` when the user has no home; indexes are in memory then.
pub(crate) fn store_dir() -> Option<PathBuf> {
    store_dir_in(absolute("XDG_DATA_HOME"), absolute("HOME"))
}

/// The user's configuration file: `greenroom/config.toml` in the configuration directory of the same
/// specification. `None` when the user has no home.
pub(crate) fn config_file() -> Option<PathBuf> {
    let home = || absolute("HOME").map(|home| home.join(".config"));
    let config = absolute("XDG_CONFIG_HOME").or_else(home)?;
    Some(config.join("greenroom/config.toml"))
}

/// Who uses this machine, by name.
pub(crate) fn user() -> String {
    let name =
        ["USER", "LOGNAME"].into_iter().find_map(|name| env::var_os(name)?.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "somebody".to_owned())
}

fn store_dir_in(data_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let data = data_home.or_else(|| home.map(|home| home.join(".local/share")))?;
    Some(data.join("greenroom"))
}

/// A variable that holds an absolute path; the specification says to ignore relative ones.
fn absolute(name: &str) -> Option<PathBuf> {
    env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_in_the_data_directory_and_else_below_home() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(store_dir_in(path("/data"), path("/home/u")), path("/data/greenroom"));
        assert_eq!(store_dir_in(None, path("/home/u")), path("/home/u/.local/share/greenroom"));
        assert_eq!(store_dir_in(None, None), None);
    }
}
