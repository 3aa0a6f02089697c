//! The toolbox that agents call from, and the tools that come with Greenroom.
//!
//! Every built-in tool only reads; a program of yours becomes one with `ProcessTool`. Nothing here isolates a panic or enforces a deadline: the runtime's
//! tool agent does. Nothing here reads a clock or the environment.

mod toolbox;

mod calculate;
mod date;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
pub mod program;
mod read_file;

mod builtin;

pub use builtin::builtin;
pub use calculate::{CalculateInput, CalculateOutput, CalculateTool};
pub use date::{DateInput, DateOperation, DateOutput, DateTool};
#[cfg(target_os = "linux")]
pub use process::ProcessTool;
pub use read_file::{ReadFileInput, ReadFileOutput, ReadFileTool};
pub use toolbox::{Toolbox, ToolboxError, ToolboxErrorKind};
