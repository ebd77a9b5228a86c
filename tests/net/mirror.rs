//! Each body runs on std's sockets and threads, then with abaca's sockets on plain threads, and on fibers with each
//! poller and several numbers of workers. All must have observed the same.

use super::bodies::{on_fibers, on_std, on_threads};
use super::kinds::on_each_runtime;

macro_rules! observes_what_std_does {
    ($room:ident: $($body:ident)*) => {$(
        #[test]
        fn $body() {
            let expected = on_std::$room::$body();
            assert_eq!(on_threads::$room::$body(), expected);
            on_each_runtime(|| assert_eq!(on_fibers::$room::$body(), expected));
        }
    )*};
}

observes_what_std_does! {
    calls:
    a_half_closed_stream_still_carries_the_other_half
    a_reset_ends_reads_and_writes
    a_reset_ends_a_write_that_waits
    a_write_to_a_closed_peer_fails
    a_peek_takes_nothing
    an_empty_buffer_moves_nothing
    a_read_times_out_and_can_go_on
    a_write_times_out
    a_timeout_of_zero_is_refused
    a_clone_shares_the_timeouts
    a_refused_connect_says_so
    a_connect_times_out_when_nobody_accepts
    addresses_that_do_not_resolve_are_errors
    the_first_address_that_works_is_taken
    a_shutdown_ends_a_read_that_waits
    a_shutdown_ends_an_accept_that_waits
    nonblocking_calls_say_would_block
    options_are_kept
    debug_output_names_the_addresses
}

observes_what_std_does! {
    flows:
    both_directions_flow_at_once_through_clones
    a_slow_reader_gets_every_byte
    vectors_are_scattered_and_gathered
    urgent_data_does_not_hold_up_the_rest
    incoming_yields_connections
    a_burst_then_the_end_is_read_to_the_end
    requests_and_answers_of_all_sizes_alternate
}
