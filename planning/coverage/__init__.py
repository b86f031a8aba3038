"""The radio model: received levels on pixels, best servers, SINR, rates and coupled cell loads."""
