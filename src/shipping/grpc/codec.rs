//! Sends bytes that are encoded already, and decodes the answer.

use std::marker::PhantomData;

use bytes::{BufMut as _, Bytes};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Takes bytes and gives an `R`.
pub(super) struct Preencoded<R>(PhantomData<fn() -> R>);

impl<R> Preencoded<R> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R: prost::Message + Default + 'static> Codec for Preencoded<R> {
    type Encode = Bytes;
    type Decode = R;
    type Encoder = AsIs;
    type Decoder = Self;

    fn encoder(&mut self) -> AsIs {
        AsIs
    }

    fn decoder(&mut self) -> Self {
        Self::new()
    }
}

/// Encodes bytes as themselves.
pub(super) struct AsIs;

impl Encoder for AsIs {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.reserve(message.len());
        to.put(message);
        Ok(())
    }
}

impl<R: prost::Message + Default> Decoder for Preencoded<R> {
    type Item = R;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<R>, Status> {
        R::decode(from).map(Some).map_err(|error| Status::internal(format!("the answer cannot be read: {error}")))
    }
}
