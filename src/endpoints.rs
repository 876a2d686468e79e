//! One file a verb, and the documents that say which verbs there are.

pub mod discovery;
pub mod openapi;
pub mod version;
