-- Five bodies: tables of floating-point numbers.
local bodies = {}
for i = 0, 4 do
    bodies[i + 1] = {
        x = i * 4.5, y = i * 3.5 + 0.37, z = i * 2.5 + 0.74, m = i == 0 and 39.47 or 0.01 / i,
        vx = i == 0 and 0 or 2.5 / i, vy = i == 0 and 0 or 2.5 / (i + 1) - 0.2, vz = i == 0 and 0 or 2.5 / (i + 2) - 0.4,
    }
end
local function advance(dt)
    for i = 1, 5 do
        local a = bodies[i]
        for j = i + 1, 5 do
            local b = bodies[j]
            local dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
            local square = dx * dx + dy * dy + dz * dz
            local pull = dt / (square * square ^ 0.5 + 0.01)
            a.vx, a.vy, a.vz = a.vx - dx * b.m * pull, a.vy - dy * b.m * pull, a.vz - dz * b.m * pull
            b.vx, b.vy, b.vz = b.vx + dx * a.m * pull, b.vy + dy * a.m * pull, b.vz + dz * a.m * pull
        end
    end
    for i = 1, 5 do
        local a = bodies[i]
        a.x, a.y, a.z = a.x + dt * a.vx, a.y + dt * a.vy, a.z + dt * a.vz
    end
end
for _ = 1, tonumber(arg[1]) do advance(0.001) end
local e = 0
for i = 1, 5 do e = e + bodies[i].m * bodies[i].vx ^ 2 end
print(string.format("%.9g", e))
