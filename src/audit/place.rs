//! Where keys and heads lie.

use std::path::PathBuf;

/// `$XDG_STATE_HOME/floutage`, or `~/.local/state/floutage`; None without a home. As the XDG base directory
/// specification says, a relative `XDG_STATE_HOME` is ignored.
pub fn state_folder() -> Option<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("XDG_STATE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("floutage"))
}
