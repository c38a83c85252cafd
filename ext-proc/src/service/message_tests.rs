//! The service over an in-memory gRPC channel, message by message, as Envoy would speak to it.

mod answers;
mod envoy;
mod relays;
mod requests;
mod streams;

use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    processing_request::Request as Message, processing_response::Response as Answer, HttpTrailers,
};
use envoy_types::pb::google::protobuf::{value::Kind, Struct};
use tonic::Code;

use super::*;
