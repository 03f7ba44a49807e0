//! A gRPC codec that hands a request over as the bytes that came in.

use std::marker::PhantomData;

use bytes::{Buf as _, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstEncoder};

/// A request, not decoded yet.
#[derive(Debug, Clone)]
pub(crate) struct Raw(pub(crate) Bytes);

/// Answers with prost's messages.
#[derive(Debug)]
pub(crate) struct Codec<T>(PhantomData<T>);

impl<T> Default for Codec<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Default + Send + 'static> tonic::codec::Codec for Codec<T> {
    type Encode = T;
    type Decode = Raw;
    type Encoder = ProstEncoder<T>;
    type Decoder = RawDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, T>::raw_encoder(tonic::codec::BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        RawDecoder
    }
}

/// Takes all that the frame holds. tonic has held it against the limit before.
#[derive(Debug)]
pub(crate) struct RawDecoder;

impl Decoder for RawDecoder {
    type Item = Raw;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Raw>, Status> {
        Ok(Some(Raw(buffer.copy_to_bytes(buffer.remaining()))))
    }
}
