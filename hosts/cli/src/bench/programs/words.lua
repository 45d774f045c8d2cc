-- Counts words: strings and hash tables.
local file = assert(io.open("/bench/text"))
local text = file:read("a" and "*a")
local counts, distinct = {}, 0
for _ = 1, tonumber(arg[1]) do
    for word in text:gmatch("%a+") do
        local n = counts[word]
        if not n then distinct = distinct + 1 end
        counts[word] = (n or 0) + 1
    end
end
local best, most = "", 0
for word, n in pairs(counts) do
    if n > most or n == most and word < best then best, most = word, n end
end
print(distinct, best, most)
