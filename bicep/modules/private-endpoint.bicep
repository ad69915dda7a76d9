metadata description = 'A private endpoint of one resource, with its names in the private DNS zone.'

@description('The region.')
param location string
@description('The tags of every resource.')
param tags object
@description('The endpoint\'s name, without `pep-`.')
@maxLength(76)
param name string
@description('The resource that it leads to.')
param resourceId string
@description('The part of the resource, like `blob`.')
param groupId string
@description('The zone that has the names.')
param dnsZoneId string
@description('The subnet of private endpoints.')
param subnetId string

resource endpoint 'Microsoft.Network/privateEndpoints@2024-10-01' = {
  name: 'pep-${name}'
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    customNetworkInterfaceName: 'nic-${name}'
    privateLinkServiceConnections: [
      { name: groupId, properties: { privateLinkServiceId: resourceId, groupIds: [groupId] } }
    ]
  }

  resource dns 'privateDnsZoneGroups' = {
    name: 'default'
    properties: { privateDnsZoneConfigs: [{ name: groupId, properties: { privateDnsZoneId: dnsZoneId } }] }
  }
}
