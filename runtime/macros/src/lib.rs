//! `#[abaca::main]` and `#[abaca::test]`: a function whose body runs as the main fiber of a runtime.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Expr, ItemFn, MetaNameValue, ReturnType, Token, parse_macro_input};

/// Runs the body of `main` as the main fiber of a runtime.
///
/// `main` may return whatever std's may ([`Termination`](std::process::Termination)), such as
/// `Result<(), Box<dyn Error>>`: an error is printed and makes the process fail. On a function of another name the value is
/// returned, and has to be `Send`.
///
/// # Options
///
/// Setters of `abaca::runtime::Builder`: `#[abaca::main(workers = 2, stack_size = 65536)]`.
///
/// | option | value |
/// |---|---|
/// | `workers` | OS threads that run fibers |
/// | `stack_size` | bytes of a fiber's stack |
/// | `max_fibers` | how many fibers may be alive |
/// | `poller` | an `abaca::runtime::Poller` |
/// | `name` | the start of the threads' names |
/// | `shutdown_timeout` | a `Duration`: how long the end waits for fibers |
///
/// # Panics
///
/// If the runtime cannot start, and with the body's panic.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, &quote!())
}

/// Runs the body of a test as the main fiber of a runtime of its own. Options as for `main`.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, &quote!(#[::core::prelude::v1::test]))
}

fn expand(options: TokenStream, item: TokenStream, attribute: &Tokens) -> TokenStream {
    let options = parse_macro_input!(options with Punctuated::<MetaNameValue, Token![,]>::parse_terminated);
    let function = parse_macro_input!(item as ItemFn);
    match build(&options, function, attribute) {
        Ok(tokens) => tokens.into(),
        Err(error) => error.into_compile_error().into(),
    }
}

fn build(
    options: &Punctuated<MetaNameValue, Token![,]>,
    function: ItemFn,
    attribute: &Tokens,
) -> syn::Result<Tokens> {
    if let Some(token) = &function.sig.asyncness {
        return Err(syn::Error::new_spanned(
            token,
            "a fiber's code is not async: remove `async`, and every `.await`",
        ));
    }
    if !function.sig.inputs.is_empty() {
        return Err(syn::Error::new_spanned(&function.sig.inputs, "the function takes no arguments"));
    }
    let settings = options.iter().map(setting).collect::<syn::Result<Vec<_>>>()?;
    let ItemFn { attrs, vis, sig, block } = function;
    let run = quote! {
        ::abaca::Runtime::builder()
            #(#settings)*
            .build()
            .expect("cannot start the runtime")
            .run
    };
    // What `main` or a test returns is reported in the fiber: an error there need not be `Send`.
    let is_reported = sig.ident == "main" || !attribute.is_empty();
    if !is_reported || matches!(sig.output, ReturnType::Default) {
        return Ok(quote! { #(#attrs)* #attribute #vis #sig { #run(move || #block) } });
    }
    let name = &sig.ident;
    Ok(quote! {
        #(#attrs)*
        #attribute
        #vis fn #name() -> ::std::process::ExitCode {
            #sig #block
            #run(|| ::std::process::Termination::report(#name()))
        }
    })
}

/// One option as a call of the builder's setter of that name.
fn setting(option: &MetaNameValue) -> syn::Result<Tokens> {
    let known = ["workers", "stack_size", "max_fibers", "poller", "name", "shutdown_timeout"];
    let name = option.path.get_ident().filter(|name| known.iter().any(|known| name == known));
    let name = name.ok_or_else(|| {
        syn::Error::new_spanned(&option.path, format!("the options are {}", known.join(", ")))
    })?;
    let value: &Expr = &option.value;
    Ok(quote!(.#name(#value)))
}
