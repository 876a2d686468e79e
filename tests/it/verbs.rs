//! What the verbs answer over the wire: bodies, options, errors.

mod bodies;
mod reads;
mod writes;
