//! Server-side apply and the record of who owns which field.

mod contract;
mod judge;
mod oracle;
mod verbs;
