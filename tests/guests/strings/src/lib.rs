//! Takes all headers and the body, and says how long they are: what a call costs when texts pass.

use portcullis_sdk::prelude::*;

struct Strings;

impl Validate for Strings {
    type Config = ();

    fn new((): ()) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn validate(&self, request: &Request) -> Result<Vec<Finding>, Rejection> {
        let body = std::str::from_utf8(request.raw_body()).unwrap_or_default();
        let headers =
            request.headers().iter().flat_map(|header| [header.name.as_str(), header.value.as_str()]);
        let texts =
            headers.chain([request.method(), request.path(), request.query().unwrap_or_default(), body]);
        let (bytes, ascii) =
            texts.fold((0, true), |(bytes, ascii), text| (bytes + text.len(), ascii && text.is_ascii()));
        let detail = format!("{bytes} bytes, {}", if ascii { "all ASCII" } else { "not all ASCII" });
        Ok(vec![Finding::new("strings", 0, Location::Whole, detail)])
    }
}

portcullis_sdk::export_validate!(Strings);
