//! Reads all of a request, and says one number of it: what a call costs when much passes.

use portcullis_sdk::prelude::*;

struct Echo;

impl Validate for Echo {
    type Config = ();

    fn new((): ()) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn validate(&self, request: &Request) -> Result<Vec<Finding>, Rejection> {
        let mut sum = 0;
        for header in request.headers() {
            sum = add(sum, header.name.as_bytes());
            sum = add(sum, header.value.as_bytes());
        }
        sum = add(sum, request.raw_body());
        if let Some(body) = request.body() {
            for leaf in body.leaf_table().iter() {
                sum = add(sum, leaf.pointer.as_bytes());
                if let ValueRef::Text(text) | ValueRef::Number(text) = leaf.value {
                    sum = add(sum, text.as_bytes());
                }
            }
        }
        Ok(vec![Finding::new("echo", 0, Location::Whole, sum.to_string())])
    }
}

fn add(sum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)))
}

portcullis_sdk::export_validate!(Echo);
