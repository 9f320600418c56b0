#![allow(missing_docs)] #[test] fn x(){}
