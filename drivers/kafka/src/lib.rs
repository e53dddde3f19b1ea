//! Nothing of its own: building this crate builds librdkafka, whose C library and headers `scripts/build-drivers` takes.
