//! What several tests need: a runtime that must leave nothing behind.

use greenroom_runtime::Runtime;

/// A runtime with a fixed seed.
pub(crate) async fn runtime() -> Runtime {
    Runtime::builder().seed(7).start().await.expect("a runtime starts")
}

/// Ends a runtime in an orderly way; a task that is left behind fails the test.
pub(crate) async fn end(runtime: Runtime) {
    runtime.shutdown().await;
    assert_eq!(runtime.n_tasks(), 0, "tasks were left behind");
}
