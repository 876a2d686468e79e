//! What the verbs answer over the wire: bodies, options, errors.
