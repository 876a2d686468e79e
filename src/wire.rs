//! The Kubernetes vocabulary: names, objects, options, selectors, errors. Pure values, no I/O, no dependency on any other module.

pub mod body;
pub mod duration;
pub mod json;
pub mod meta;
pub mod names;
pub mod negotiate;
pub mod notes;
pub mod options;
pub mod patch;
pub mod protobuf;
pub mod quote;
pub mod rbac;
pub mod schema;
pub mod selector;
pub mod status;
pub mod subject;
pub mod table;
pub mod user;
pub mod validation;
