//! Its manifest says that it uses nothing of the host; it asks for the time.

use portcullis_sdk::prelude::*;

struct Undeclared;

impl Validate for Undeclared {
    type Config = ();

    fn new((): ()) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn validate(&self, _: &Request) -> Result<Vec<Finding>, Rejection> {
        let now = host::clock::now_milliseconds();
        Ok(vec![Finding::new("time", 0, Location::Whole, now.to_string())])
    }
}

portcullis_sdk::export_validate!(Undeclared);
