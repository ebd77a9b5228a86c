//! `#[abaca::main]` and `#[abaca::test]`: a function whose body runs as the main fiber of a runtime.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Expr, ItemFn, Meta, MetaNameValue, ReturnType, Token, parse_macro_input};

/// Runs the body of `main` as the main fiber of a runtime, and ends the runtime when it returns. It is `abaca::run` with settings.
///
/// `main` may return anything that std's may ([`Termination`](https://doc.rust-lang.org/std/process/trait.Termination.html)), such as
/// `Result<(), Box<dyn Error>>`: an error is printed and makes the process fail. A function of another name returns the value of
/// its body, which must be `Send`.
///
/// The function takes no arguments and is not `async`.
///
/// # Options
///
/// The options are setters of `abaca::runtime::Builder`, and their values any expressions:
/// `#[abaca::main(workers = 2, stack_size = 64 * 1024)]`.
///
/// | option | value | default |
/// |---|---|---|
/// | `workers` | how many OS threads run fibers: 1 to 1024 | `ABACA_WORKERS`, else one for each CPU |
/// | `stack_size` | the usable bytes of a fiber's stack | 256 KiB; 2 MiB with debug assertions |
/// | `max_fibers` | how many fibers may be alive at once | no limit |
/// | `poller` | an `abaca::runtime::Poller` | `ABACA_POLLER`, else `Poller::Workers` |
/// | `name` | the prefix of the threads' names | `"abaca"` |
/// | `shutdown_timeout` | a `Duration`: how long the end waits for cancelled fibers | 10 seconds |
/// | `carry_spans` | `true`: spans of `tracing` follow their fiber (feature `tracing`) | `false` |
/// | `transparent` | none: `#[abaca::main(transparent)]` | not |
///
/// With `transparent`, libc's blocking functions park fibers, and so do std and C libraries as they are. The program depends on the crate
/// `abaca-transparent`, whose `install` is called first.
///
/// For the other settings, call `abaca::Runtime::builder()` in a plain `main`.
///
/// # Panics
///
/// * If the runtime cannot start, or with `transparent` if fibers can have no thread-local storage of their own here.
/// * With the panic of the body.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, &quote!())
}

/// Runs the body of a test as the main fiber of a runtime of its own. It stands in place of `#[test]`; other attributes of tests, such as
/// `#[should_panic]`, work as usual.
///
/// The options are those of [`main`](macro@main).
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, &quote!(#[::core::prelude::v1::test]))
}

fn expand(options: TokenStream, item: TokenStream, attribute: &Tokens) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    match build(options, &function, attribute) {
        Ok(tokens) => tokens.into(),
        Err(error) => {
            // The function stays, so that the compiler does not complain of a missing `main` as well.
            let (error, ItemFn { vis, mut sig, .. }) = (error.into_compile_error(), function);
            sig.asyncness = None;
            sig.inputs.clear();
            quote!(#error #[allow(dead_code)] #vis #sig { loop {} }).into()
        }
    }
}

fn build(options: TokenStream, function: &ItemFn, attribute: &Tokens) -> syn::Result<Tokens> {
    let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
    let options = parser.parse(options).map_err(|error| {
        syn::Error::new(error.span(), format!("{error}: an option is written like `workers = 2`"))
    })?;
    if let Some(token) = &function.sig.asyncness {
        return Err(syn::Error::new_spanned(
            token,
            "a fiber's code is not async: remove `async`, and every `.await`",
        ));
    }
    if !function.sig.inputs.is_empty() {
        return Err(syn::Error::new_spanned(&function.sig.inputs, "the function takes no arguments"));
    }
    let (flags, options): (Vec<_>, Vec<_>) =
        options.into_iter().partition(|option| option.path().is_ident(TRANSPARENT));
    let install = flags.first().map(install).transpose()?;
    let settings = options.iter().map(setting).collect::<syn::Result<Vec<_>>>()?;
    let ItemFn { attrs, vis, sig, block } = function;
    let run = quote! {
        #install
        ::abaca::Runtime::builder()
            #(#settings)*
            .build()
            .expect("cannot start the runtime")
            .run
    };
    // The result of `main` or of a test is reported in the fiber, so an error need not be `Send`.
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

/// The option that has no value.
const TRANSPARENT: &str = "transparent";

/// The statement for the option `transparent`.
fn install(option: &Meta) -> syn::Result<Tokens> {
    option.require_path_only()?;
    Ok(quote! {
        ::abaca_transparent::install().expect("cannot make libc's functions park fibers");
    })
}

/// An option as a call of the builder's setter of that name.
fn setting(option: &Meta) -> syn::Result<Tokens> {
    let known = ["workers", "stack_size", "max_fibers", "poller", "name", "shutdown_timeout", "carry_spans"];
    let path = option.path();
    let name = path.get_ident().filter(|name| known.iter().any(|known| name == known));
    let name = name.ok_or_else(|| {
        let name = quote!(#path);
        syn::Error::new_spanned(
            path,
            format!("there is no option `{name}`: the options are {}, {TRANSPARENT}", known.join(", ")),
        )
    })?;
    let MetaNameValue { value, .. } = option.require_name_value().map_err(|_| {
        syn::Error::new_spanned(path, format!("the option `{name}` has a value: write it like `{name} = 2`"))
    })?;
    let value: &Expr = value;
    Ok(quote!(.#name(#value)))
}
