// Exceptions of C++ that are thrown, in flight, caught, kept and thrown again while their fiber goes on on other OS threads. What the
// language keeps of them is in thread-local variables. Every function returns how often something was not as it should be.
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

namespace {

// Returns on another OS thread than that which it was called on.
using Move = void (*)();

// Moves while an exception that destroys it is in flight, and throws and catches others meanwhile.
struct Moves {
    Move move;
    int in_flight;
    int *wrong;
    int depth;

    ~Moves() {
        for (int i = 0; i < 2; i++) {
            *wrong += std::uncaught_exceptions() != in_flight;
            move();
        }
        if (depth > 0) {
            try {
                Moves inner{move, in_flight + 1, wrong, depth - 1};
                throw depth;
            } catch (int caught) {
                *wrong += caught != depth || std::uncaught_exceptions() != in_flight;
                move();
                *wrong += caught != depth || std::uncaught_exceptions() != in_flight;
            }
        }
        *wrong += std::uncaught_exceptions() != in_flight;
    }
};

// Frames that each move when they are unwound.
int throw_from(int frames, int number, Move move, int *wrong) {
    Moves moves{move, 1, wrong, 0};
    if (frames == 0) throw std::runtime_error(std::to_string(number));
    return 1 + throw_from(frames - 1, number, move, wrong);
}

int nothing_is_thrown(Move move) {
    int wrong = 0;
    for (int i = 0; i < 2; i++) {
        wrong += std::uncaught_exceptions() != 0 || std::current_exception() != nullptr;
        move();
    }
    return wrong;
}

bool says(const std::exception &error, int number) { return error.what() == std::to_string(number); }

} // namespace

extern "C" {

int caught_after_moves(int number, Move move) {
    int wrong = nothing_is_thrown(move);
    bool is_caught = false;
    try {
        move();
        throw_from(3, number, move, &wrong);
    } catch (const std::runtime_error &error) {
        is_caught = true;
        wrong += !says(error, number) || std::uncaught_exceptions() != 0;
        move();
        wrong += !says(error, number) || std::current_exception() == nullptr;
    }
    return wrong + !is_caught + nothing_is_thrown(move);
}

int others_while_one_is_in_flight(int number, Move move) {
    int wrong = 0;
    try {
        Moves outer{move, 1, &wrong, 3};
        throw number;
    } catch (int caught) {
        move();
        wrong += caught != number;
    }
    return wrong + nothing_is_thrown(move);
}

int thrown_again_after_moves(int number, Move move) {
    int wrong = 0;
    try {
        try {
            throw_from(0, number, move, &wrong);
        } catch (const std::runtime_error &) {
            move();
            try {
                move();
                std::throw_with_nested(std::logic_error("nested"));
            } catch (const std::logic_error &error) {
                move();
                wrong += std::strcmp(error.what(), "nested") != 0;
                try {
                    std::rethrow_if_nested(error);
                    wrong++;
                } catch (const std::runtime_error &cause) {
                    move();
                    wrong += !says(cause, number);
                }
            }
            move();
            // The outer one, which is the current one again.
            throw;
        }
    } catch (const std::runtime_error &error) {
        move();
        wrong += !says(error, number);
    }
    return wrong + nothing_is_thrown(move);
}

// Keeps an exception over moves, for `throw_kept`, which another fiber may call.
void *keep(int number, Move move) {
    try {
        throw std::runtime_error(std::to_string(number));
    } catch (...) {
        move();
        return new std::exception_ptr(std::current_exception());
    }
}

int throw_kept(void *kept, int number, Move move) {
    auto pointer = static_cast<std::exception_ptr *>(kept);
    int wrong = nothing_is_thrown(move);
    for (int i = 0; i < 2; i++) {
        try {
            Moves moves{move, 1, &wrong, 1};
            std::rethrow_exception(*pointer);
        } catch (const std::runtime_error &error) {
            move();
            wrong += !says(error, number) || std::current_exception() != *pointer;
        }
    }
    delete pointer;
    return wrong + nothing_is_thrown(move);
}

} // extern "C"
