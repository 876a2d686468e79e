//! From the socket to the request and back: everything about HTTP that is not about any one verb.

pub mod body;
mod labels;
pub mod health;
pub mod listener;
pub mod shutdown;
pub mod pipeline;
pub mod request_info;
pub mod respond;
pub mod tls;
