//! Three ways in: `embed`, `typed_agent`, `custom_actor`; and `operations`, which looks at what runs. Each depends on
//! the facade alone.
