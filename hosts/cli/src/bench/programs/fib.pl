# Calls, arrays and integer arithmetic.
use strict;
sub fib { my $n = shift; return $n < 2 ? $n : fib($n - 1) + fib($n - 2) }
my @sieve = (1) x 300000;
for (my $i = 2; $i * $i < @sieve; $i++) {
    next unless $sieve[$i];
    for (my $j = $i * $i; $j < @sieve; $j += $i) { $sieve[$j] = 0 }
}
print fib(23), ' ', scalar(grep { $_ } @sieve), "\n";
