//! Retrieval through its public API.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod hybrid;
#[cfg(test)]
mod ingest;
#[cfg(test)]
mod search;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod tree;
