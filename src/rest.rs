//! What the verbs mean: descriptors of resources, and the generic store behind all of them.

pub mod admission;
pub mod caller;
pub mod claim;
pub mod conventions;
pub mod field_manager;
pub mod metadata;
pub mod owners;
pub mod paging;
pub mod resource;
pub mod review;
pub mod store;
pub mod strategy;
pub mod version;

pub use caller::{Caller, Target};
pub use store::Store;
