//! What goes over the wire, compared with a CustomResource on kube-apiserver wherever it can be.

mod connections;
mod gadget;
mod patches;
mod protobuf;
mod reads;
mod websocket;
mod writes;
