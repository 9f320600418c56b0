//! Never gets ready: its initialiser panics.

use portcullis_sdk::prelude::*;

struct Never;

impl Validate for Never {
    type Config = ();

    fn new((): ()) -> Result<Self, Failure> {
        panic!("it does not want to begin")
    }

    fn validate(&self, _: &Request) -> Result<Vec<Finding>, Rejection> {
        Ok(Vec::new())
    }
}

portcullis_sdk::export_validate!(Never);
