# Order, aliases, and what modifiers refuse.
namespace forms
vm launch kvm b,c
vm launch kvm a
.sort
.columns name vm info
.sort false .columns name vm info
.sort false
.sort
.columns name vm info
.sort true .columns name vm info
.columns name .sort true vm info
.sort true
.sort false ns schedule mv a mm1
.sort false .columns nothing vm info

# aliases: replaced, listed in order, forgotten, and what is none
.alias names=.columns name vm info
.alias states=.columns name,state vm info
.alias names=.headers false .columns name vm info
.alias
names
states
.alias names
.alias =vm info
.alias nothing
.unalias states
.unalias states
.unalias nothing
.alias

# an alias stands for the first word of a line only
echo names
.columns name .filter name=a vm info

# what is none of the values
.compress
.compress false
.compress
.compress true
.filter name vm info
.filter =a vm info
.columns name,name vm info
clear namespace all
