//! What the verbs mean: descriptors of resources, and the generic store behind all of them.

pub mod resource;
