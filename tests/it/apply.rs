//! Server-side apply and the record of who owns which field.

mod oracle;
mod verbs;
