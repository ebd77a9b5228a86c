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
    calls_that_move_nothing_end
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

observes_what_std_does! {
    datagrams:
    a_datagram_arrives_whole_and_says_from_where
    a_datagram_that_is_too_long_is_cut_off
    an_empty_datagram_arrives
    a_connected_socket_hears_its_peer_only
    a_peek_leaves_the_datagram
    a_receive_waits_for_its_datagram
    a_receive_times_out_and_can_go_on
    a_refusal_is_told_to_a_connected_socket
    clones_share_the_socket
    nonblocking_receives_say_would_block
    udp_options_are_kept
    a_group_is_joined_and_left
    errors_are_the_same
    many_datagrams_flow_through_a_slow_receiver
}

observes_what_std_does! {
    unix_calls:
    a_path_is_listened_at_and_connected_to
    an_abstract_name_is_listened_at_and_connected_to
    a_pair_talks_both_ways_at_once
    a_half_closed_pair_still_carries_the_other_half
    unix_reads_time_out_and_can_go_on
    a_unix_write_times_out
    a_unix_shutdown_ends_a_read_and_an_accept_that_wait
    unix_errors_are_the_same
    a_full_queue_holds_up_a_connect
    unix_nonblocking_calls_say_would_block
    unix_debug_output_is_stds
    incoming_yields_unix_connections
}

observes_what_std_does! {
    unix_datagrams:
    unix_datagrams_arrive_whole_and_in_order
    an_unbound_sender_has_no_name
    a_full_receiver_holds_up_a_connected_sender
    a_full_receiver_holds_up_an_unconnected_sender
    a_full_receiver_times_a_sender_out
    unix_datagrams_are_cut_off_at_the_buffer
    unix_datagram_errors_are_the_same
    a_unix_datagram_shutdown_ends_a_receive_that_waits
    unix_datagram_modes_and_timeouts_are_kept
}
