-- fetch.lua URL: Lua's curl binding as programs use it.
local curl = require("curl")

local handle = curl.easy_init()
local body = {}
handle:setopt(curl.OPT_URL, arg[1])
handle:setopt(curl.OPT_POSTFIELDS, '{"model": "gpt-4"}')
handle:setopt(curl.OPT_HTTPHEADER, {"Content-Type: application/json", "X-From: lua"})
handle:setopt(curl.OPT_WRITEFUNCTION, function(data)
    body[#body + 1] = data
    return #data
end)
handle:setopt(curl.OPT_HEADERFUNCTION, function(line)
    io.write("header ", line)
    return #line
end)
print(handle:perform())
print(table.concat(body))
