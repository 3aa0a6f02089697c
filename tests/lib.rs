//! The suite is in `suite/`: one binary, through public APIs.
