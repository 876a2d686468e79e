//! Seats, queues and turns.
