//! From the socket to the request and back: everything about HTTP that is not about any one verb.

mod audit;
pub mod body;
pub mod compress;
pub mod counting;
mod draining;
pub mod health;
pub mod impersonation;
mod labels;
pub mod limits;
pub mod listener;
pub mod pipeline;
pub mod request_info;
pub mod respond;
pub mod shutdown;
pub mod tls;
mod traces;
pub mod upgrade;
pub mod upload;
pub mod websocket;
