//! tests

mod storage;
