//! What the server tells about itself: compared with Go's, with the documentation, and with what dashboards ask for.

mod absent;
mod documented;
mod go;
mod health;
mod monitoring;
mod reset;
pub(crate) mod scrape;
mod visible;
