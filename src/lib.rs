//! Bulward: an aggregated API server for Kubernetes in which every caller sees just their own objects.
//!
//! The modules in the order in which a request meets them; arrows point down only (`tests/it/layering.rs` holds it):

pub mod cli;
pub mod config;
pub mod server;

pub mod http;

pub mod admission;
pub mod audit;
pub mod authn;
pub mod authz;

pub mod endpoints;
pub mod groups;
pub mod rest;

pub mod watchcache;

pub mod visibility;

pub mod storage;

pub mod cluster;
pub mod controllers;

pub mod certs;
pub mod flowcontrol;
pub mod telemetry;
pub mod wire;
