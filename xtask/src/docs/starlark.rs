//! What `starlark_doc_extract` says of a `.bzl` file: `stardoc_output.proto` in Bazel's sources
//! (`src/main/protobuf`), as far as the page needs it.

use prost::Message;

/// A `.bzl` file.
#[derive(Message)]
pub(super) struct Module {
    #[prost(message, repeated, tag = "1")]
    pub(super) rules: Vec<Rule>,
    #[prost(message, repeated, tag = "2")]
    pub(super) providers: Vec<Provider>,
    #[prost(message, repeated, tag = "3")]
    pub(super) functions: Vec<Function>,
    #[prost(string, tag = "5")]
    pub(super) doc: String,
    #[prost(message, repeated, tag = "7")]
    pub(super) extensions: Vec<Extension>,
}

/// A rule, or a tag class of a module extension, which has the same fields.
#[derive(Message)]
pub(super) struct Rule {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) doc: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) attributes: Vec<Attribute>,
}

/// An attribute.
#[derive(Message)]
pub(super) struct Attribute {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) doc: String,
    #[prost(int32, tag = "3")]
    pub(super) kind: i32,
    #[prost(bool, tag = "4")]
    pub(super) mandatory: bool,
    #[prost(string, tag = "6")]
    pub(super) default: String,
}

/// A provider.
#[derive(Message)]
pub(super) struct Provider {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) doc: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) fields: Vec<Field>,
}

/// A field of a provider.
#[derive(Message)]
pub(super) struct Field {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) doc: String,
}

/// A function, or a macro that is one.
#[derive(Message)]
pub(super) struct Function {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) parameters: Vec<Parameter>,
    #[prost(string, tag = "3")]
    pub(super) doc: String,
}

/// A parameter.
#[derive(Message)]
pub(super) struct Parameter {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) doc: String,
    #[prost(string, tag = "3")]
    pub(super) default: String,
    #[prost(bool, tag = "4")]
    pub(super) mandatory: bool,
}

/// A module extension.
#[derive(Message)]
pub(super) struct Extension {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) doc: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) tags: Vec<Rule>,
}

impl Attribute {
    /// What a user calls the attribute's type: `AttributeType` of the message's definition.
    pub(super) fn kind(&self) -> &'static str {
        match self.kind {
            1 => "name",
            2 => "int",
            3 => "label",
            4 => "string",
            5 => "list of strings",
            6 => "list of ints",
            7 => "list of labels",
            8 => "bool",
            9 => "dict: label to string",
            10 => "dict: string to string",
            11 => "dict: string to list of strings",
            14 => "dict: string to label",
            _ => "",
        }
    }
}
