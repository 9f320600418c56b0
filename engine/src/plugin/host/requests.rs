//! The application's request, without what carries credentials.

use wasmtime::component::Resource;

use super::{Asked, Document, Ended, Sandbox};
use crate::plugin::bindings::portcullis::plugin::types;
use crate::plugin::input::{Request, carries_credentials};
use crate::plugin::{Capability, FailureKind};

impl Sandbox {
    fn asked(&self) -> Result<&std::sync::Arc<Request>, Ended> {
        self.request.as_ref().ok_or_else(|| Ended::new(FailureKind::BadAnswer, "there is no request"))
    }
}

impl types::Host for Sandbox {}

impl types::HostRequest for Sandbox {
    fn method(&mut self, _: Resource<Asked>) -> wasmtime::Result<String> {
        let method = self.asked()?.method.clone();
        self.count(method.len())?;
        Ok(method)
    }

    fn path(&mut self, _: Resource<Asked>) -> wasmtime::Result<String> {
        let path = self.asked()?.path.clone();
        self.count(path.len())?;
        Ok(path)
    }

    fn query(&mut self, _: Resource<Asked>) -> wasmtime::Result<Option<String>> {
        let query = self.asked()?.query.clone();
        self.count(query.as_ref().map_or(0, String::len))?;
        Ok(query)
    }

    fn headers(&mut self, _: Resource<Asked>) -> wasmtime::Result<Vec<types::Header>> {
        let with_credentials = self.may(Capability::Credentials).is_ok();
        let request = self.asked()?;
        let shown = request.headers.iter().filter(|(name, _)| with_credentials || !carries_credentials(name));
        let headers: Vec<_> =
            shown.map(|(name, value)| types::Header { name: name.clone(), value: value.clone() }).collect();
        self.count(headers.iter().map(|header| header.name.len() + header.value.len() + 16).sum())?;
        Ok(headers)
    }

    fn body(&mut self, _: Resource<Asked>) -> wasmtime::Result<Option<Resource<Document>>> {
        let Some(document) = self.asked()?.document() else { return Ok(None) };
        Ok(Some(Resource::new_own(self.hold(document)?)))
    }

    fn raw_body(&mut self, _: Resource<Asked>) -> wasmtime::Result<Vec<u8>> {
        let bytes = self.asked()?.body.bytes().to_vec();
        self.count(bytes.len())?;
        Ok(bytes)
    }

    fn drop(&mut self, _: Resource<Asked>) -> wasmtime::Result<()> {
        Ok(())
    }
}
