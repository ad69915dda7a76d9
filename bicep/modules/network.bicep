// The network: everything but the gateway's address is private.
//
//   Internet → gateway subnet → private endpoint of the app
//   app subnet → private endpoints of databases, Redis, bus, storage, vaults
//   app subnet → NAT gateway (one fixed address) → Stripe, Entra, Azure Monitor

@description('The region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Workload and environment: comply-ai-dev.')
@maxLength(24)
param namePrefix string

@description('Makes globally unique names.')
param suffix string

@description('A block of at least /21. Choose one that no peered network has.')
param addressPrefix string

@description('Whether public addresses are in three availability zones.')
param zoneRedundant bool

@description('Receives the diagnostic logs.')
param logAnalyticsWorkspaceId string

// /24 each: the gateway needs an address for each of its instances and of a new generation during an upgrade; Flex Consumption
// needs one for each instance of each function.
var gatewayPrefix = cidrSubnet(addressPrefix, 24, 0)
var appPrefix = cidrSubnet(addressPrefix, 24, 1)
var privateEndpointPrefix = cidrSubnet(addressPrefix, 24, 2)
var operationsPrefix = cidrSubnet(addressPrefix, 24, 3)

// PostgreSQL, AMQP, Azure Managed Redis. Storage, vaults and the app are at 443.
var servicePorts = ['443', '5432', '5671', '5672', '10000']

// The range of the platform that manages Application Gateway v2. It must reach the subnet.
var gatewayManagerPorts = '65200-65535'

resource gatewayNsg 'Microsoft.Network/networkSecurityGroups@2024-10-01' = {
  name: 'nsg-${namePrefix}-gateway'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        // Only machines in the subnet of operations manage others.
        name: 'no-management-of-others'
        properties: {
          priority: 4000
          direction: 'Outbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRanges: ['22', '3389']
        }
      }
      {
        // There is no listener at port 80 either: a key that a client sends in clear must not be answered by a redirect.
        name: 'https-from-internet'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'Internet'
          sourcePortRange: '*'
          destinationAddressPrefix: gatewayPrefix
          destinationPortRange: '443'
        }
      }
      {
        name: 'management-of-the-gateway'
        properties: {
          priority: 110
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'GatewayManager'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: gatewayManagerPorts
        }
      }
      {
        name: 'probes-of-the-platform'
        properties: {
          priority: 120
          direction: 'Inbound'
          access: 'Allow'
          protocol: '*'
          sourceAddressPrefix: 'AzureLoadBalancer'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
      {
        name: 'nothing-else-in'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource appNsg 'Microsoft.Network/networkSecurityGroups@2024-10-01' = {
  name: 'nsg-${namePrefix}-app'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        // The subnet is for outbound traffic only. Requests reach the app through its private endpoint.
        name: 'nothing-in'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
      {
        name: 'services-behind-private-endpoints'
        properties: {
          priority: 100
          direction: 'Outbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: privateEndpointPrefix
          destinationPortRanges: servicePorts
        }
      }
      {
        // Stripe has no address list that a rule could name, and Entra and Azure Monitor are at 443 too.
        name: 'https-to-internet'
        properties: {
          priority: 110
          direction: 'Outbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: 'Internet'
          destinationPortRange: '443'
        }
      }
      {
        name: 'nothing-else-out'
        properties: {
          priority: 4096
          direction: 'Outbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource privateEndpointNsg 'Microsoft.Network/networkSecurityGroups@2024-10-01' = {
  name: 'nsg-${namePrefix}-private-endpoints'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        // Only machines in the subnet of operations manage others.
        name: 'no-management-of-others'
        properties: {
          priority: 4000
          direction: 'Outbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRanges: ['22', '3389']
        }
      }
      {
        name: 'services-from-app'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: appPrefix
          sourcePortRange: '*'
          destinationAddressPrefix: privateEndpointPrefix
          destinationPortRanges: servicePorts
        }
      }
      {
        // The app, and the vault with the certificate.
        name: 'https-from-gateway'
        properties: {
          priority: 110
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: gatewayPrefix
          sourcePortRange: '*'
          destinationAddressPrefix: privateEndpointPrefix
          destinationPortRange: '443'
        }
      }
      {
        name: 'services-from-operations'
        properties: {
          priority: 120
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: operationsPrefix
          sourcePortRange: '*'
          destinationAddressPrefix: privateEndpointPrefix
          destinationPortRanges: servicePorts
        }
      }
      {
        name: 'nothing-else-in'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource operationsNsg 'Microsoft.Network/networkSecurityGroups@2024-10-01' = {
  name: 'nsg-${namePrefix}-operations'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'nothing-in'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource outboundAddress 'Microsoft.Network/publicIPAddresses@2024-10-01' = {
  name: 'pip-${namePrefix}-outbound'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  zones: zoneRedundant ? ['1', '2', '3'] : null
  properties: {
    publicIPAllocationMethod: 'Static'
    publicIPAddressVersion: 'IPv4'
  }
}

// In no zone: Azure places it. StandardV2 would span zones, but does not serve subnets that are delegated to apps. While its
// zone is away, Stripe cannot be reached; its events and our reports wait (docs/reliability.md).
resource nat 'Microsoft.Network/natGateways@2024-10-01' = {
  name: 'ng-${namePrefix}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: {
    idleTimeoutInMinutes: 4
    publicIpAddresses: [{ id: outboundAddress.id }]
  }
}

resource vnet 'Microsoft.Network/virtualNetworks@2024-10-01' = {
  name: 'vnet-${namePrefix}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    // In one resource: subnets of their own would be removed and made again by a second deployment of the network.
    subnets: [
      {
        // No NAT gateway here: Application Gateway has its own address, and its management needs its own way out.
        name: 'gateway'
        properties: {
          addressPrefix: gatewayPrefix
          networkSecurityGroup: { id: gatewayNsg.id }
          defaultOutboundAccess: false
        }
      }
      {
        name: 'app'
        properties: {
          addressPrefix: appPrefix
          networkSecurityGroup: { id: appNsg.id }
          natGateway: { id: nat.id }
          defaultOutboundAccess: false
          delegations: [{ name: 'flex-consumption', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'private-endpoints'
        properties: {
          addressPrefix: privateEndpointPrefix
          networkSecurityGroup: { id: privateEndpointNsg.id }
          defaultOutboundAccess: false
          // Without this, the security group would not apply to private endpoints.
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
      {
        // For a machine that deploys and operates from inside: a pipeline's agent, or a virtual machine behind Bastion.
        name: 'operations'
        properties: {
          addressPrefix: operationsPrefix
          networkSecurityGroup: { id: operationsNsg.id }
          natGateway: { id: nat.id }
          defaultOutboundAccess: false
        }
      }
    ]
  }

  resource gatewaySubnet 'subnets' existing = { name: 'gateway' }
  resource appSubnet 'subnets' existing = { name: 'app' }
  resource privateEndpointSubnet 'subnets' existing = { name: 'private-endpoints' }
  resource operationsSubnet 'subnets' existing = { name: 'operations' }
}

resource gatewayAddress 'Microsoft.Network/publicIPAddresses@2024-10-01' = {
  name: 'pip-${namePrefix}-gateway'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  zones: zoneRedundant ? ['1', '2', '3'] : null
  properties: {
    publicIPAllocationMethod: 'Static'
    publicIPAddressVersion: 'IPv4'
    dnsSettings: { domainNameLabel: '${namePrefix}-${suffix}' }
  }
}

// Names of Azure's public cloud. `environment()` knows only the one of storage.
var zones = {
  postgres: 'privatelink.postgres.database.azure.com'
  redis: 'privatelink.redis.azure.net'
  serviceBus: 'privatelink.servicebus.windows.net'
  keyVault: 'privatelink.vaultcore.azure.net'
  sites: 'privatelink.azurewebsites.net'
  blob: 'privatelink.blob.${environment().suffixes.storage}'
  queue: 'privatelink.queue.${environment().suffixes.storage}'
  table: 'privatelink.table.${environment().suffixes.storage}'
  file: 'privatelink.file.${environment().suffixes.storage}'
}

resource dnsZones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in items(zones): {
    name: zone.value
    location: 'global'
    tags: tags
  }
]

resource dnsLinks 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zone, n) in items(zones): {
    parent: dnsZones[n]
    name: 'link-${namePrefix}'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: vnet.id }
    }
  }
]

var allLogs = [{ categoryGroup: 'allLogs', enabled: true }]

resource gatewayNsgDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: gatewayNsg
  name: 'to-workspace'
  properties: { workspaceId: logAnalyticsWorkspaceId, logs: allLogs }
}

resource appNsgDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: appNsg
  name: 'to-workspace'
  properties: { workspaceId: logAnalyticsWorkspaceId, logs: allLogs }
}

resource privateEndpointNsgDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: privateEndpointNsg
  name: 'to-workspace'
  properties: { workspaceId: logAnalyticsWorkspaceId, logs: allLogs }
}

resource operationsNsgDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: operationsNsg
  name: 'to-workspace'
  properties: { workspaceId: logAnalyticsWorkspaceId, logs: allLogs }
}

resource vnetDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vnet
  name: 'to-workspace'
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: allLogs
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource gatewayAddressDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: gatewayAddress
  name: 'to-workspace'
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: allLogs
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource outboundAddressDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: outboundAddress
  name: 'to-workspace'
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: allLogs
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('The subnet of the gateway.')
output gatewaySubnetId string = vnet::gatewaySubnet.id

@description('The subnet through which the app reaches everything.')
output appSubnetId string = vnet::appSubnet.id

@description('The subnet of all private endpoints.')
output privateEndpointSubnetId string = vnet::privateEndpointSubnet.id

@description('The subnet for machines that deploy and operate.')
output operationsSubnetId string = vnet::operationsSubnet.id

@description('Ids of the private DNS zones by service.')
output privateDnsZoneIds object = toObject(
  items(zones),
  zone => zone.key,
  zone => resourceId('Microsoft.Network/privateDnsZones', zone.value)
)

@description('The public address of the gateway.')
output gatewayAddressId string = gatewayAddress.id

@description('The name of the gateway’s public address, which exists without a domain of one’s own.')
output gatewayFqdn string = gatewayAddress.properties.dnsSettings.fqdn

@description('The address from which Stripe and others see the app’s requests.')
output outboundAddress string = outboundAddress.properties.ipAddress
