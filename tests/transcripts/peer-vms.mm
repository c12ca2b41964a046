# Names, states and tags of VMs, in the peer's own words.
namespace peer
vm launch kvm [0]
vm launch kvm all
vm launch kvm foo,[0]
vm launch kvm foo,all

# from launch to flush
vm launch kvm foo[0-2]
.columns name,state vm info
vm start foo0
vm start foo0
vm kill foo0
.columns name,state vm info
vm start foo0
vm kill foo1
vm start all
.columns name,state vm info
vm start foo1
vm stop foo0
.columns name,state vm info
vm start foo0,foo2
vm kill foo0
vm flush foo0
vm flush foo0
vm flush foo1
vm kill all
vm stop all
vm flush all
vm info

# tags: from the configuration, of each VM its own
vm config tag color red
vm config tag
vm launch kvm vm0
vm config tag shape square
vm launch kvm vm[1,2]
.column tags vm info
clear vm config tag color
vm launch kvm vm3
vm tag vm1 color blue
clear vm config tag
vm config tag
.column tags vm info
vm tag vm1
vm tag all
vm tag vm[0-1] all
vm tag all color
vm tag vm1 nothing
vm tag vm1 all x
vm tag nobody
vm tag vm0,nobody color
clear vm tag vm1 color
vm tag vm1
clear vm tag vm2 all
clear vm tag nobody
vm tag all
clear vm tag
vm tag all

# UUIDs
vm config uuid f3b8b039-2f26-43d0-908c-b0de030a44ed
vm launch kvm 2
vm launch kvm one
vm launch kvm two
ns queueing true
vm launch kvm two
vm config uuid f4785e82-48c4-4cf2-95b8-f00918e111da
vm launch kvm two
vm launch kvm 1
clear namespace peer
