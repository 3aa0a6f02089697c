//! Three ways in: `embed`, `typed_agent`, `custom_actor`. Each depends on the facade alone.
