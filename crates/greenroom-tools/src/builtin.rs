//! The tools that come with Greenroom, as one toolbox.

use std::path::PathBuf;
use std::sync::Arc;

use greenroom_core::tool::DynTool;

use crate::calculate::CalculateTool;
use crate::date::DateTool;
use crate::read_file::ReadFileTool;
use crate::toolbox::Toolbox;

/// `calculate`, `date`, and `read_file` when there is a directory that may be read.
///
/// `date` has no clock here; an application that wants "today" puts its own toolbox together with
/// [`DateTool::with_clock`].
#[must_use]
pub fn builtin(root: Option<PathBuf>) -> Toolbox {
    let mut tools: Vec<Arc<dyn DynTool>> = vec![Arc::new(CalculateTool), Arc::new(DateTool::new())];
    tools.extend(root.map(|root| Arc::new(ReadFileTool::new(root)) as Arc<dyn DynTool>));
    Toolbox::new(tools).expect("the built-in names are well formed and distinct")
}

#[cfg(test)]
mod tests {
    use super::*;
    use greenroom_core::tool::EffectClass;

    #[test]
    fn every_builtin_only_reads_and_the_file_tool_needs_a_root() {
        let names = |toolbox: &Toolbox| toolbox.names().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(names(&builtin(None)), ["calculate", "date"]);
        let all = builtin(Some(".".into()));
        assert_eq!(names(&all), ["calculate", "date", "read_file"]);
        assert!(all.specs().iter().all(|spec| spec.effect == EffectClass::ReadOnly));
        assert!(all.specs().iter().all(|spec| spec.parameters["type"] == "object"));
    }
}
