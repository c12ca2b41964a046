# Saving VMs, and going on from where they were: with another name, on another host.
shell rm -rf /tmp/shoal-saving-transcript
shell mkdir /tmp/shoal-saving-transcript
shell sh -c "printf image > /tmp/shoal-saving-transcript/base"
file put /tmp/shoal-saving-transcript/base as images/base.qcow2
namespace saving
vm config memory 128
vm config networks LAN,00:16:3e:00:00:01 DMZ,00:16:3e:00:00:02
vm config disks images/base.qcow2
vm config tag role web
vm config schedule mm1
vm launch kvm web1
clear vm config
vm config memory 128
vm config colocate web1
vm launch kvm web2
vm save
ns save

# one VM; simulated guests remember how often they were resumed
vm start web1
vm stop web1
vm start web1
vm qmp web1 '{ "execute": "x-resumes" }'
vm save web1
.columns name,state vm info
vm save
vm save web2 day1/web2
.columns dir,name file list
.columns name file list saved
.columns name file list day1
vm save web9
vm save all
vm save web1 /tmp/web1
vm save web1 ../web1
vm save web1 day1/web2.state/inside

# what is there is replaced by a later state of the same VM alone
vm save web1
vm save web1 day1/web2
file put /tmp/shoal-saving-transcript/base as day1/mine.state
vm save web1 day1/mine
namespace other vm launch kvm web1
namespace other vm save web1
namespace other vm save web1 day1/others
.columns name file list day1
clear namespace other

# the same VM again, under another name
clear vm config
vm config state saved/web1.state
vm launch kvm again
vm config memory 128
vm config networks LAN DMZ
vm config disks saved/web1.hdd
vm config state
vm launch kvm again
.columns name,state,save,disks,host vm info
.columns name,mac vm info
vm start again
vm qmp again '{ "execute": "x-resumes" }'
vm config state saved/none.state
vm launch kvm other
vm config state saved/web1.hdd
vm launch kvm other
.columns name,state,tags vm info

# the namespace as a whole
vm kill other
vm flush
ns save monday
.columns name,state vm info
ns save
.columns name file list saved/monday
file get saved/monday/launch.mm to /tmp/shoal-saving-transcript/launch.mm
shell cat /tmp/shoal-saving-transcript/launch.mm
ns save monday
ns save /tmp/monday
vm kill all
ns save tuesday

# and launched again from its script
vm flush
read /tmp/shoal-saving-transcript/launch.mm
.columns name,state,save,host,tags vm info
vm qmp web1 '{ "execute": "x-resumes" }'
vm config
clear namespace saving
file delete day1/*
file delete images/*
file delete saved/*
shell rm -rf /tmp/shoal-saving-transcript
